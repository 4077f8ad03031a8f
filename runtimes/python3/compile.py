"""compile.py SOURCE... FOLDER: each SOURCE's compiled form into FOLDER, valid wherever the source lies beside it."""
import importlib.util
import os
import py_compile
import sys

*sources, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
for source in sources:
    name = os.path.basename(importlib.util.cache_from_source(os.path.basename(source)))
    py_compile.compile(source, cfile=os.path.join(folder, name), dfile="/runtime/" + os.path.basename(source), doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
