"""Runs the test functions of a script, one after the other, and prints the lines and the closing
line that tests/run reads. A test fails by raising, and is skipped by raising Skip with a reason."""

import sys


class Skip(Exception):
    pass


def run_tests(tests, *arguments):
    """Returns the exit status; a test is named by its function, less "test_"."""
    passed = failed = skipped = 0
    for test in tests:
        name = test.__name__.removeprefix("test_")
        try:
            test(*arguments)
        except Skip as reason:
            skipped += 1
            print(f"  skipped {name}: {reason}")
        except Exception as problem:  # whatever it is, the other tests still run
            failed += 1
            print(f"  FAILED  {name}: {type(problem).__name__}: {problem}")
        else:
            passed += 1
            print(f"  ok      {name}")
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0
