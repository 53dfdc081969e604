"""Who somebody is: passwords."""
