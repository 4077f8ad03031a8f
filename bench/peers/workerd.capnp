# workerd with one worker, the same answer as the functions.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = (serviceWorkerScript = embed "worker.js", compatibilityDate = "2024-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:PORT", http = (), service = "main")]
);
