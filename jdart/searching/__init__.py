"""Which of several pictures a prompt gets: chosen by the score that the whole entry would have."""
