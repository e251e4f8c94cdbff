"""The pages of docs/howto, typed and compared."""
