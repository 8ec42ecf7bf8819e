# workerd with one worker: the script that flagbase runs too.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", service = "main", http = ())],
);

const hello :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "hello_fetch.js")],
  compatibilityDate = "2026-01-01",
);
