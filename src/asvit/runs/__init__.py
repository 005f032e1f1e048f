"""What every job leaves behind and where it works: run directories, records, progress, devices."""
