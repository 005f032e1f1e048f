"""Processes that load or train for another."""

import subprocess
import sys


def test_what_processes_need_is_loaded_once_for_all_of_them():
    program = """
import sys
from multiprocessing import get_context

from asvit.runs.children import deaf_fork_server

class Loaded:
    # It arrives as whether the module wave is loaded there already.
    def __reduce__(self):
        return eval, ("'wave' in __import__('sys').modules",)

if __name__ == "__main__":
    deaf_fork_server({"wave"})
    process = get_context("forkserver").Process(target=sys.exit, args=(Loaded(),))
    process.start()
    process.join()
    print(process.exitcode)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
