# Varnish as a cache of POSTs, keyed by their bodies. It needs the module bodyaccess,
# of the package varnish-modules. {{.Host}} and {{.Port}} are filled in by the harness.
vcl 4.1;

import std;
import bodyaccess;

backend api { .host = "{{.Host}}"; .port = "{{.Port}}"; }

sub vcl_recv {
  unset req.http.X-Body-Length;
  if (req.method == "POST" && std.cache_req_body(64KB)) {
    set req.http.X-Body-Length = bodyaccess.len_req_body();
    return (hash);
  }
  return (pass);
}

sub vcl_hash {
  bodyaccess.hash_req_body();
}

sub vcl_backend_fetch {
  if (bereq.http.X-Body-Length) {
    set bereq.method = "POST"; # a fetch for the cache is a GET otherwise
  }
}

sub vcl_backend_response {
  set beresp.ttl = 10h;
}
