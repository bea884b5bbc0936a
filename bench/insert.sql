INSERT INTO bench_insert (service, message) VALUES ('bench', 'request latency above 800 ms');
