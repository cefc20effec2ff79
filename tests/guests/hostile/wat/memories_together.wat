;; Has four memories, each within the limit and together over it.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (core module $room
    (memory 1)
    (func (export "grow") (drop (memory.grow (i32.const 300)))))
  (core instance $a (instantiate $room))
  (core instance $b (instantiate $room))
  (core instance $c (instantiate $room))
  (core instance $d (instantiate $room))
  (core module $code
    (import "a" "grow" (func $a))
    (import "b" "grow" (func $b))
    (import "c" "grow" (func $c))
    (import "d" "grow" (func $d))
    (func (export "handle") (param i32 i32)
      (call $a) (call $b) (call $c) (call $d)))
  (core instance $agent (instantiate $code
    (with "a" (instance $a)) (with "b" (instance $b)) (with "c" (instance $c)) (with "d" (instance $d))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $agent "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
