"""Reading conversations and documents from files."""
