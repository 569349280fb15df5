"""A stand-in for the agent's __main__; everything else is the real package's."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
