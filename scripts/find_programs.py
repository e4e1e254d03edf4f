"""Print the Debian packages of the programs that document jobs lack here, one a line."""

from checkback.kinds.documents.files.external_programs import PROGRAMS

for program in PROGRAMS:
    if program.find() is None:
        print(program.package)
