"""libxml2's types of XML schemas, made before there are threads.

libxml2 makes its table of built-in types when the first schema of a process is compiled, and takes no lock for it. Where two
threads compile their first schema at the same moment, the table can stay broken for as long as the process lives, and no schema
compiles any more ("the given type is not a built-in type"; seen with libxml2 2.14.6 in lxml 6.1.3). Every module that compiles
schemas imports this one, and an import is done by one thread.
"""

from lxml import etree

etree.XMLSchema(etree.XML(b'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>'))
