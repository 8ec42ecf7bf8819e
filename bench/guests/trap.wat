;; A guest that fails.
(module (func (export "handle") unreachable))
