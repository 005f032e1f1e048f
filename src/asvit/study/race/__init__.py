"""Networks for one budget compete by short trainings on a user's images, in a time that the user names."""
