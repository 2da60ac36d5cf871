// Python 3.14 as pyodide has it, for benchmarks/versions.py: node webassembly.mjs ROOT SITE-PACKAGES
import { loadPyodide } from "pyodide";

const [root, site] = process.argv.slice(2);
const python = await loadPyodide({ env: { PYTHONDONTWRITEBYTECODE: "1", PYTEST_DISABLE_PLUGIN_AUTOLOAD: "1", HOME: "/tmp" } });
python.mountNodeFS("/skipway", root);
python.mountNodeFS("/site", site);
process.exit(await python.runPythonAsync(`
import compileall, importlib.metadata, json, os, platform, sys, warnings
sys.path[:0] = ["/skipway/src", "/skipway/tests"]
sys.path.append("/site")
os.chdir("/skipway")

with warnings.catch_warnings():
    warnings.simplefilter("error")
    sys.pycache_prefix = "/tmp/compiled"
    compiled = compileall.compile_dir("src", quiet=1, force=True)

import pytest
status = pytest.main([
    "--noconftest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=default",
    "--rootdir=/skipway", "--doctest-modules", "tests/test_results.py", "tests/test_saved.py",
    "src/skipway/report", "src/skipway/_visible.py", "-k", "not public_names",
])

from skipway.cli import main
for words in (["--help"], ["cases"], ["learn", "list"], ["report", "tests/saved/format-1/plan.json",
              "--save", "/tmp/report.html"]):
    try:
        main(words, prog_name="skipway")
    except SystemExit as end:
        assert not end.code, (words, end.code)
print(json.dumps({"python": platform.python_version(), "compiled": bool(compiled)}))
int(status not in (0, 1))
`));
