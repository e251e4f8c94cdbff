"""Language models: where a prompt goes, how it is asked, and what it did cost."""
