;; Calls itself with a frame as small as it gets.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (core module $code
    (func $deeper (param i32) (result i32)
      (i32.add (i32.const 1) (call $deeper (local.get 0))))
    (func (export "handle") (param i32 i32)
      (drop (call $deeper (i32.const 0)))))
  (core instance $agent (instantiate $code))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $agent "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
