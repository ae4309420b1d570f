"""Plants secrets wherever one can stand, runs the program for real, and looks for them after it."""
