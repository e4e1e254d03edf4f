"""Document kinds: PDF, office, image and e-mail files, read and made on this machine."""
