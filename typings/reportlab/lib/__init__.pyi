# The part of reportlab that checkback uses; the package ships no types.
