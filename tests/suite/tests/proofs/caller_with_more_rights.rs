//! Refused: E0616: field `rights` of struct `Caller` is private

use attache::access::Caller;

pub fn forge(caller: &mut Caller) {
    caller.rights = todo!();
}
