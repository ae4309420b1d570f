"""What is shown in browsers, in one that is installed here."""
