"""A program that serves HTTP, and ends as programs do: ``python -m tests.lab.speaker NAME PORT [ADDRESS]``.

Every answer is a line with its name, and a line with whom the proxy before it saw calling.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main(name: str, port: int, address: str = "0.0.0.0") -> None:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = f"{name}\n{self.headers.get('x-forwarded-client-cert', '')}\n".encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer((address, port), Answer) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
