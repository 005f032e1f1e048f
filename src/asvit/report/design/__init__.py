"""Pages and pictures of search, growth and design."""
