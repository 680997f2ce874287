"""Which of revenue's streams are sealed, and what is done by a process of its own."""
