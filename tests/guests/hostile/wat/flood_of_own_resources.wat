;; Makes resources of its own and keeps a handle to each.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core module $code
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "handle") (param i32 i32)
      (loop $on
        (drop (call $new (i32.const 7)))
        (br $on))))
  (core instance $agent (instantiate $code (with "" (instance (export "new" (func $new))))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $agent "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
