"""Result files and uploads."""
