-- Alerts for wrk, of SERVICES services, each of which gets one incident. Without a deduplication key, each POST is a new alert.
local services = tonumber(os.getenv("SERVICES") or "20")
local counter = 0
local thread_number = 0

function setup(thread)
  thread_number = thread_number + 1
  thread:set("number", thread_number)
end

function init(args)
  counter = number * 1000000
end

function request()
  counter = counter + 1
  local body = string.format(
    '{"service":"bench-%d","severity":"high","message":"request latency above 800 ms on instance %d","labels":{"instance":"10.0.0.%d:9100","region":"eu-central"},"source":"wrk"}',
    counter % services, counter, counter % 250)
  return wrk.format("POST", "/api/v1/alerts", { ["Content-Type"] = "application/json" }, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1000000, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
