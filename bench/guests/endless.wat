;; A guest that does not end.
(module (func (export "handle") (loop $on (br $on))))
