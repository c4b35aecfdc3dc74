"""Visitors of a shop, as Locust users write it: a mix of pages by weight, uploads, and users who think in between.

    locust -f benches/peers/users/locustfile.py --headless --users 200 --spawn-rate 20 --run-time 2m \
        --host http://127.0.0.1:8080

HOST in the environment is the host that the proxy routes by (bench.test).
"""

import os

from locust import FastHttpUser, between, constant_throughput, events, task

HEADERS = {"Host": os.environ.get("HOST", "bench.test")}
FORM = b"x" * 64 * 1024


class Visitor(FastHttpUser):
    """Reads pages; keeps its connection, as a browser does."""

    weight = 9
    wait_time = between(0.1, 1.0)
    insecure = True

    def page(self, path):
        with self.client.get(path, headers=HEADERS, catch_response=True) as answer:
            if answer.status_code != 200 or not answer.content:
                answer.failure(f"{answer.status_code} with {len(answer.content or b'')} bytes")

    @task(6)
    def start_page(self):
        self.page("/64")

    @task(3)
    def article(self):
        self.page("/1k")

    @task(1)
    def picture(self):
        self.page("/100k")


class Uploader(FastHttpUser):
    """Sends a form once a second."""

    weight = 1
    wait_time = constant_throughput(1)
    insecure = True

    @task
    def send(self):
        self.client.post("/64", data=FORM, headers=HEADERS | {"Content-Type": "application/octet-stream"}, name="upload")


@events.quitting.add_listener
def judge(environment, **_):
    """The exit code says whether the run was good: less than one failure in a thousand, p95 below 50 ms."""
    total = environment.stats.total
    good = total.fail_ratio < 0.001 and (total.get_response_time_percentile(0.95) or 0) < 50
    environment.process_exit_code = 0 if good else 1
