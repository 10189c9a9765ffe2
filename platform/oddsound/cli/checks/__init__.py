"""What `oddsound doctor` looks at: a module a subject, each of functions that return findings."""
