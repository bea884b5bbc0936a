-- Alerts for wrk, of SERVICES services, each of which gets one incident. LOAD is one of
--   new       each POST is a new alert
--   repeats   each POST repeats one of KEYS open alerts
--   payloads  each POST is an Alertmanager group of 100 new alerts
-- With PAUSE_MS, each connection pauses so long on average before a request, and the statuses are counted.
local services = tonumber(os.getenv("SERVICES"))
local load = os.getenv("LOAD")
local pause = tonumber(os.getenv("PAUSE_MS"))
local KEYS = 1000
local GROUP = 100
local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init(args)
  counter = number * 10000000
  created, accepted = 0, 0
end

local function json_post(path, body)
  return wrk.format("POST", path, { ["Content-Type"] = "application/json" }, body)
end

local ALERT = '{"service":"bench-%d","severity":"high","message":"request latency above 800 ms on instance %d",'
  .. '"labels":{"instance":"10.0.0.%d:9100","region":"eu-central"},"source":"wrk"%s}'
local GROUPED = '{"status":"firing","labels":{"alertname":"HighLatency","service":"bench-%d","severity":"high",'
  .. '"instance":"10.0.0.%d:9100","region":"eu-central"},"annotations":{"summary":"request latency above 800 ms"},'
  .. '"startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"%016x"}'

function request()
  counter = counter + 1
  if load == "payloads" then
    local alerts = {}
    for position = 1, GROUP do
      alerts[position] = string.format(GROUPED, position % services, counter % 250, counter * GROUP + position)
    end
    local body = '{"version":"4","status":"firing","receiver":"tocsin","groupKey":"{}","alerts":['
      .. table.concat(alerts, ",") .. ']}'
    return json_post("/api/v1/receivers/alertmanager", body)
  end
  local key = load == "repeats" and string.format(',"dedup_key":"bench-%d"', counter % KEYS) or ""
  return json_post("/api/v1/alerts", string.format(ALERT, counter % KEYS % services, counter, counter % 250, key))
end

if pause then
  function delay()
    return math.random() * 2 * pause
  end

  function response(status)
    if status == 201 then
      created = created + 1
    elseif status == 202 then
      accepted = accepted + 1
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  local with_incident, without = 0, 0
  for _, thread in ipairs(threads) do
    with_incident, without = with_incident + thread:get("created"), without + thread:get("accepted")
  end
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d, "refused": %d, '
      .. '"created": %d, "accepted": %d}\n',
    summary.requests, summary.duration / 1000000, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, errors.status,
    with_incident, without))
end
