"""The servicers of the admin API, a module for each thing that they speak of."""
