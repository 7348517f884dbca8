"""HTTP server for the download tests: python3 http_server.py FILE LOG [CERTIFICATE-AND-KEY]

Serves FILE with and without the faults that downloads meet, over TLS when there is a certificate.
Prints its port, then answers until standard input is closed. LOG receives one line a request: path
and Range header.
"""
import hashlib
import http.server
import os
import ssl
import sys
import threading
import time

FILE, LOG = sys.argv[1], sys.argv[2]
BODY = open(FILE, "rb").read()
ETAG = '"' + hashlib.sha256(BODY).hexdigest()[:16] + '"'
counts = {}
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        with lock:
            counts[path] = counts.get(path, 0) + 1
            self.turn = counts[path]
            with open(LOG, "a") as log:
                log.write(f"{self.path} {self.headers.get('Range', '-')} "
                          f"auth={self.headers.get('Authorization', '-')}\n")
        name = path.strip("/").split("/")[0].replace("-", "_").replace(".", "_")
        route = getattr(self, "route_" + name, None)
        if route is None:
            self.reply(404, b"no such route")
        else:
            route()
        self.close_connection = True

    def reply(self, status, body, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def start_of_range(self, etag):
        """First byte asked for, or None when the whole file is due."""
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes=") or not asked.endswith("-"):
            return None
        if self.headers.get("If-Range", etag) != etag:
            return None
        return int(asked[len("bytes="):-1])

    def send_body(self, etag, limit=None):
        start = self.start_of_range(etag)
        if start is not None and start >= len(BODY):
            self.reply(416, b"", Content_Range=f"bytes */{len(BODY)}", ETag=etag)
            return
        body = BODY[start or 0:]
        headers = {"ETag": etag, "Accept_Ranges": "bytes", "Content_Length": str(len(body))}
        if start is not None:
            headers["Content_Range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        self.reply(200 if start is None else 206, body[:limit], **headers)

    def route_file(self):
        self.send_body(ETAG)

    def route_model_gguf(self):
        self.send_body(ETAG)

    def route_cut(self):
        """Breaks off the first answer in the middle."""
        self.send_body(ETAG, limit=len(BODY) // 2 if self.turn == 1 else None)

    def route_cut_always(self):
        """Every answer gives a little more and breaks off."""
        self.send_body(ETAG, limit=min(len(BODY) // 4 + 1, len(BODY)))

    def route_changed(self):
        """Breaks off, then has another file under the same URL."""
        self.send_body(ETAG if self.turn > 1 else '"old"',
                       limit=len(BODY) // 2 if self.turn == 1 else None)

    def route_weak(self):
        """A weak validator must not be used to resume."""
        self.send_body('W/"x"', limit=len(BODY) // 2 if self.turn == 1 else None)

    def route_wrong_range(self):
        """Answers another range than asked for."""
        start = self.start_of_range(ETAG)
        if start is None:
            self.send_body(ETAG, limit=len(BODY) // 2)
            return
        self.reply(206, BODY[1:], ETag=ETAG,
                   Content_Range=f"bytes 1-{len(BODY) - 1}/{len(BODY)}")

    def route_stall(self):
        self.send_body(ETAG, limit=10)
        time.sleep(30)

    def route_endless(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        block = b"x" * 65536
        try:
            while True:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        except OSError:
            pass

    def route_huge(self):
        self.reply(200, b"x", Content_Length=str(1 << 50))

    def route_status(self):
        self.reply(int(self.path.split("?")[0].rsplit("/", 1)[1]), b"\x1b[31mno\x1b[0m")

    def route_redirect(self):
        self.reply(302, b"", Location="/file")

    def route_redirect_to(self):
        self.reply(302, b"", Location=self.path.split("?", 1)[1])

    def route_loop(self):
        self.reply(302, b"", Location="/loop")

    def route_org(self):
        """/org/repo/resolve/main/FILE, as Hugging Face has it."""
        self.send_body(ETAG)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is what the tests are about."""


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.write(1, b"%d\n" % server.server_address[1])
sys.stdin.read()
os._exit(0)
