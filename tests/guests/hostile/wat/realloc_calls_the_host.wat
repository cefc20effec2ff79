;; Calls the host while the host makes it make room for an answer.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (import "attache:identity/identity@0.1.0" (instance $identity
    (export "claim" (func (param "name" string) (result (option string))))))
  (core module $helper
    (memory (export "memory") 1)
    (table (export "table") 1 funcref)
    (type $claim (func (param i32 i32 i32)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect (type $claim) (i32.const 16) (i32.const 6) (i32.const 64) (i32.const 0))
      (i32.const 1024)))
  (core instance $helper (instantiate $helper))
  (core func $claim (canon lower (func $identity "claim")
    (memory (core memory $helper "memory")) (realloc (core func $helper "realloc"))))
  (core module $code
    (import "" "claim" (func $claim (param i32 i32 i32)))
    (import "" "memory" (memory 1))
    (import "" "table" (table 1 funcref))
    (elem (i32.const 0) func $claim)
    (data (i32.const 16) "locale")
    (func (export "handle") (param i32 i32)
      (call $claim (i32.const 16) (i32.const 6) (i32.const 64))))
  (core instance $agent (instantiate $code (with "" (instance
    (export "claim" (func $claim))
    (export "memory" (memory $helper "memory"))
    (export "table" (table $helper "table"))))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $agent "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
