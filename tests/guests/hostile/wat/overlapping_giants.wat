;; Hands over sixty thousand scopes, all of them the same half megabyte.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (import "attache:identity/credentials@0.1.0" (instance $credentials
    (export "credential" (type $credential (sub resource)))
    (type $flow' (enum "user-federation" "machine-to-machine" "on-behalf-of"))
    (export "flow" (type $flow (eq $flow')))
    (type $request' (record
      (field "provider" string) (field "scopes" (list string)) (field "flow" $flow)
      (field "resources" (list string)) (field "audiences" (list string))
      (field "custom-parameters" (list (tuple string string)))
      (field "force-authentication" bool) (field "custom-state" (option string))))
    (export "oauth2-request" (type $request (eq $request')))
    (type $consent' (record (field "authorization-url" string) (field "session-uri" string) (field "expires-at" u64)))
    (export "consent" (type $consent (eq $consent')))
    (type $error' (variant (case "consent-required" $consent) (case "denied" string)
      (case "insufficient-scopes" (list string)) (case "not-configured" string) (case "provider-refused" string)
      (case "sign-in-required" string) (case "unavailable" string) (case "invalid-request" string)))
    (export "error" (type $error (eq $error')))
    (export "oauth2" (func (param "request" $request) (result (result (own $credential) (error $error)))))))
  (core module $helper
    (memory (export "memory") 32)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $helper (instantiate $helper))
  (core func $oauth2 (canon lower (func $credentials "oauth2")
    (memory (core memory $helper "memory")) (realloc (core func $helper "realloc"))))
  (core module $code
    (import "" "oauth2" (func $oauth2 (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "" "memory" (memory 1))
    (func (export "handle") (param i32 i32) (local $at i32)
      ;; From 1 MiB on, pairs of a pointer and a length that all say the same.
      (local.set $at (i32.const 1048576))
      (loop $on
        (i32.store (local.get $at) (i32.const 0))
        (i32.store offset=4 (local.get $at) (i32.const 524288))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $on (i32.lt_u (local.get $at) (i32.const 1528576))))
      ;; Everything empty, but the scopes.
      (call $oauth2 (i32.const 0) (i32.const 0) (i32.const 1048576) (i32.const 60000) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
  (core instance $agent (instantiate $code
    (with "" (instance (export "oauth2" (func $oauth2)) (export "memory" (memory $helper "memory"))))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $agent "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
