// A shop's visitors, as k6 users write it: pages, a search, a form, a live connection, arrival rates with a peak in the middle.
//
//   k6 run -e BASE=http://127.0.0.1:8080 -e HOST=bench.test benches/peers/users/k6.js
//   k6 run -e BASE=https://127.0.0.1:8443 -e HOST=bench.test -e PEAK=2000 --insecure-skip-tls-verify benches/peers/users/k6.js
//
// BASE is where the proxy listens, HOST the host that it routes by. WS=1 adds WebSockets (the upstream must echo at /ws).

import http from 'k6/http';
import ws from 'k6/ws';
import { check, group, sleep } from 'k6';
import { Rate, Trend } from 'k6/metrics';

const base = __ENV.BASE || 'http://127.0.0.1:8080';
const host = __ENV.HOST || 'bench.test';
const peak = Number(__ENV.PEAK || 500);
const headers = { Host: host };

const failed = new Rate('failed_pages');
const upload = new Trend('upload_time', true);

const scenarios = {
  visitors: {
    executor: 'ramping-arrival-rate',
    exec: 'visit',
    startRate: Math.max(1, Math.round(peak / 10)),
    timeUnit: '1s',
    preAllocatedVUs: 100,
    maxVUs: 1000,
    stages: [
      { target: peak, duration: '30s' },
      { target: peak, duration: '60s' },
      { target: 0, duration: '10s' },
    ],
  },
  uploads: { executor: 'constant-arrival-rate', exec: 'send', rate: 5, timeUnit: '1s', duration: '100s', preAllocatedVUs: 20 },
};
if (__ENV.WS) {
  scenarios.chats = { executor: 'constant-vus', exec: 'chat', vus: 20, duration: '100s' };
}

export const options = {
  scenarios,
  // A run that misses one of these ends with an exit code of its own.
  thresholds: {
    http_req_failed: ['rate<0.001'],
    failed_pages: ['rate<0.001'],
    http_req_duration: ['p(95)<50', 'p(99)<200'],
  },
};

function page(path) {
  const answer = http.get(`${base}${path}`, { headers, tags: { page: path } });
  failed.add(!check(answer, { 'is 200': (a) => a.status === 200, 'has a body': (a) => a.body && a.body.length > 0 }));
}

export function visit() {
  group('start page', () => page('/64'));
  group('article', () => page('/1k'));
  if (Math.random() < 0.1) {
    group('picture', () => page('/100k'));
  }
}

const form = 'x'.repeat(64 * 1024);

export function send() {
  const answer = http.post(`${base}/64`, form, { headers: Object.assign({ 'Content-Type': 'application/octet-stream' }, headers) });
  failed.add(!check(answer, { 'was taken': (a) => a.status === 200 }));
  upload.add(answer.timings.duration);
}

export function chat() {
  const url = `${base.replace(/^http/, 'ws')}/ws`;
  const answer = ws.connect(url, { headers }, (socket) => {
    socket.on('open', () => socket.send('hello'));
    socket.on('message', () => {
      sleep(0.5);
      socket.send('hello');
    });
    socket.setTimeout(() => socket.close(), 20000);
  });
  failed.add(!check(answer, { 'was upgraded': (a) => a && a.status === 101 }));
}
