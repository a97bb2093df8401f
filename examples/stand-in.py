#!/usr/bin/env python3
"""In place of a language model: streams back what it is told, word by word.

    examples/stand-in.py PORT [SECONDS_BETWEEN_WORDS]
"""
import http.server
import json
import sys
import time

PAUSE_S = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05


class Model(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = body["messages"][-1]["content"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in f"You said: {said}".split(" "):
            delta = {"choices": [{"delta": {"content": word + " "}}]}
            self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
            self.wfile.flush()
            time.sleep(PAUSE_S)
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Model)
print("listening on", server.server_address[1], flush=True)
server.serve_forever()
