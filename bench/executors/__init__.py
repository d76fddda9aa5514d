"""Where trials run: in this process, or one child process a trial."""
