"""The entry point: finds the agent beside this file. All else is in modules, which Python keeps compiled."""
import sys

sys.path.insert(0, __file__.rpartition("/")[0] or ".")
import _dispatch_driver  # noqa: E402

sys.exit(_dispatch_driver.main(sys.path.pop(0)))
