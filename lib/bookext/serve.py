"""The built site on this computer: `python -m bookext.serve _build/html 8000`."""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def server(folder: str, port: int = 0, handler: type[SimpleHTTPRequestHandler] = Quiet) -> ThreadingHTTPServer:
    """A server of a folder on 127.0.0.1, at this port or the first free one of the next hundred; 0 is any port.

    Raises OSError when all are taken.
    """
    for candidate in range(port, port + 100):
        try:
            return ThreadingHTTPServer(("127.0.0.1", candidate), functools.partial(handler, directory=folder))
        except OSError:
            continue
    raise OSError(f"ports {port} to {port + 99} are all taken: name another one, as in ./book serve 9000")


if __name__ == "__main__":
    site = server(sys.argv[1], int(sys.argv[2]))
    print(f"http://127.0.0.1:{site.server_port}/  (Ctrl-C ends it)", flush=True)
    try:
        site.serve_forever()
    except KeyboardInterrupt:
        pass
