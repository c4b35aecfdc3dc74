-- wrk's part: an optional POST body, optional hosts, and one line of JSON at the end.
-- Arguments: bytes of the body (0: a GET), a file with one host a line ("" for the one of the command line).

local requests = {}
local turn = 0

function init(args)
  local post = tonumber(args[1]) or 0
  if post > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", post)
  end
  if args[2] and args[2] ~= "" then
    for host in io.lines(args[2]) do
      requests[#requests + 1] = wrk.format(nil, nil, { Host = host })
    end
    -- With a function of this name wrk asks it for every request, hence not otherwise.
    request = function()
      turn = turn % #requests + 1
      return requests[turn]
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"errors":%d,"p50":%d,"p99":%d,"p999":%d}\n',
    summary.requests - errors.status, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
