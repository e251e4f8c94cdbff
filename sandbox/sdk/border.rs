//! The border of a guest: in wasm the canonical ABI, in a test a handler that the test gives.
//!
//! Everything in the world is a text or a number. A text is (pointer, length), a result is written
//! to 16 bytes that the caller provides, and whoever hands us a text asks `cabi_realloc` for room.

use super::Answer;
#[cfg(not(target_arch = "wasm32"))]
pub use played::*;

/// Exports an `fn(&Task) -> Answer<String>` as the agent.
#[macro_export]
macro_rules! agent {
    ($answer:path) => {
        #[cfg(target_arch = "wasm32")]
        #[export_name = "run"]
        pub extern "C" fn akshi_run(at: *mut u8, length: usize) -> *const u32 {
            // Safety: the host has just written this text where `cabi_realloc` told it to.
            let task = unsafe { akshi::border::taken(at, length) };
            akshi::border::returned(akshi::enter(&task, $answer))
        }
    };
}

#[cfg(target_arch = "wasm32")]
macro_rules! pointer {
    ($of:ident) => { *const u8 };
}
#[cfg(target_arch = "wasm32")]
macro_rules! length {
    ($of:ident) => { usize };
}
macro_rules! border {
    ($($name:ident = $module:literal $function:literal $called:literal
       [$($text:ident),*] [$($number:ident),*];)*) => {$(
        pub fn $name($($text: &str,)* $($number: u32,)*) -> Answer<String> {
            #[cfg(target_arch = "wasm32")]
            {
                #[link(wasm_import_module = $module)]
                extern "C" {
                    #[link_name = $function]
                    fn imported($(_: pointer!($text), _: length!($text),)*
                                $($number: u32,)* area: *mut Area);
                }
                let mut area = Area { is_fault: 0, words: [0; 3] };
                // Safety: texts live until the call is over, and the area is as the ABI wants it.
                unsafe {
                    imported($($text.as_ptr(), $text.len(),)* $($number,)* &mut area);
                    area.answer()
                }
            }
            #[cfg(not(target_arch = "wasm32"))]
            {
                let numbers: &[u32] = &[$($number),*];
                call($called, &[$($text),*], numbers.first().copied())
            }
        }
    )*};
}

border! {
    prompt = "akshi:agent/inference@0.1.0" "prompt" "inference.prompt" [a] [];
    append = "akshi:agent/journal@0.1.0" "append" "journal.append" [a, b] [];
    read = "akshi:agent/journal@0.1.0" "read" "journal.read" [a] [n];
    search = "akshi:agent/journal@0.1.0" "search" "journal.search" [a] [n];
    find = "akshi:agent/journal@0.1.0" "find" "journal.find" [a] [];
    query = "akshi:agent/database@0.1.0" "query" "database.query" [a, b] [];
    execute = "akshi:agent/database@0.1.0" "execute" "database.execute" [a, b] [];
    fetch = "akshi:agent/http-fetch@0.1.0" "fetch" "http-fetch.fetch" [a] [];
    send = "akshi:agent/a2a@0.1.0" "send" "a2a.send" [a, b] [];
    wait = "akshi:agent/a2a@0.1.0" "wait" "a2a.wait" [a] [n];
    cancel = "akshi:agent/a2a@0.1.0" "cancel" "a2a.cancel" [a] [];
    list_tools = "akshi:agent/mcp@0.1.0" "list-tools" "mcp.list-tools" [a] [];
    call_tool = "akshi:agent/mcp@0.1.0" "call-tool" "mcp.call-tool" [a, b, c] [];
    list_files = "akshi:agent/filesystem@0.1.0" "list-files" "filesystem.list-files" [a, b] [n];
    read_file = "akshi:agent/filesystem@0.1.0" "read-file" "filesystem.read-file" [a] [];
    balance = "akshi:agent/spend@0.1.0" "balance" "spend.balance" [] [];
    quote = "akshi:agent/spend@0.1.0" "quote" "spend.quote" [a] [];
    charge = "akshi:agent/spend@0.1.0" "charge" "spend.charge" [a] [];
    progress = "akshi:agent/task@0.1.0" "progress" "task.progress" [a] [];
    is_cancelled = "akshi:agent/task@0.1.0" "is-cancelled" "task.is-cancelled" [] [];
    log = "akshi:agent/task@0.1.0" "log" "task.log" [a, b] [];
    now = "akshi:agent/task@0.1.0" "now" "task.now" [] [];
    random = "akshi:agent/task@0.1.0" "random" "task.random" [] [n];
}

#[cfg(target_arch = "wasm32")]
pub use guest::*;

#[cfg(target_arch = "wasm32")]
mod guest {
    use super::super::{Answer, Fault, CODES};
    use std::alloc::{alloc, dealloc, realloc, Layout};

    /// result<string, fault>, as the canonical ABI lays it out.
    #[repr(C)]
    pub struct Area {
        pub is_fault: u8,
        pub words: [usize; 3], // a text; or a code in the first byte, then a text
    }

    impl Area {
        /// # Safety
        /// The host has filled it in.
        pub unsafe fn answer(self) -> Answer<String> {
            let [head, middle, tail] = self.words;
            if self.is_fault == 0 {
                return Ok(taken(head as *mut u8, middle));
            }
            let (code, _) = CODES[head & 0xff];
            Err(Fault { code, why: taken(middle as *mut u8, tail) })
        }
    }

    /// # Safety
    /// `at` came from `cabi_realloc` with this length, and holds UTF-8: the host sees to it.
    pub unsafe fn taken(at: *mut u8, length: usize) -> String {
        if length == 0 {
            return String::new();
        }
        String::from_utf8_unchecked(Vec::from_raw_parts(at, length, length))
    }

    #[export_name = "cabi_realloc"]
    unsafe extern "C" fn room(old: *mut u8, old_length: usize, align: usize, length: usize) -> *mut u8 {
        let room = match (old_length, length) {
            (_, 0) => return align as *mut u8,
            (0, _) => alloc(Layout::from_size_align_unchecked(length, align)),
            _ => realloc(old, Layout::from_size_align_unchecked(old_length, align), length),
        };
        if room.is_null() {
            std::process::abort();
        }
        room
    }

    static mut RETURNED: [u32; 3] = [0; 3];

    /// What `run` gives back: result<string, string>, until `cabi_post_run`.
    pub fn returned(result: Result<String, String>) -> *const u32 {
        let is_err = result.is_err();
        let text = match result {
            Ok(text) | Err(text) => text.into_bytes().into_boxed_slice(),
        };
        let length = text.len();
        let at = Box::into_raw(text) as *mut u8;
        // Safety: a guest has one thread, and one task at a time.
        unsafe {
            RETURNED = [is_err.into(), at as u32, length as u32];
            std::ptr::addr_of!(RETURNED) as *const u32
        }
    }

    #[export_name = "cabi_post_run"]
    unsafe extern "C" fn over(area: *const u32) {
        let (at, length) = (*area.add(1) as *mut u8, *area.add(2) as usize);
        if length > 0 {
            dealloc(at, Layout::from_size_align_unchecked(length, 1));
        }
    }
}

/// Tests: handlers answer in the place of the node.
#[cfg(not(target_arch = "wasm32"))]
mod played {
    use super::super::{enter, Answer, Code, Fault, Json, Task};
    use std::cell::RefCell;

    type Handler = Box<dyn FnMut(&str, &[&str], Option<u32>) -> Answer<String>>;

    thread_local! {
        static HANDLER: RefCell<Option<Handler>> = RefCell::new(None);
    }

    /// From here on this answers calls: (`interface.function`, texts, number) to JSON or a fault.
    pub fn play(handler: impl FnMut(&str, &[&str], Option<u32>) -> Answer<String> + 'static) {
        HANDLER.with(|kept| *kept.borrow_mut() = Some(Box::new(handler)));
    }

    /// What a call meets that was not granted.
    pub fn denied() -> Fault {
        Fault { code: Code::CapabilityDenied, why: "not granted".into() }
    }

    pub fn call(name: &str, texts: &[&str], number: Option<u32>) -> Answer<String> {
        HANDLER.with(|kept| match kept.borrow_mut().as_mut() {
            Some(handler) => handler(name, texts, number),
            None => Err(denied()),
        })
    }

    /// One message to the agent: its text, or the reason that a sender would read.
    pub fn ask(answer: fn(&Task) -> Answer<String>, text: &str) -> Result<String, String> {
        let parts = Json::Array(vec![Json::object([("text", Json::text(text))])]);
        let task = Json::object([
            ("id", Json::text("00")),
            ("from", Json::text("did:key:zTest")),
            ("message", Json::object([("parts", parts)])),
        ]);
        let said = enter(&task.to_string(), answer)?;
        let parts = Json::parse(&said).ok_or("the answer is not JSON")?;
        Ok(parts.items().first().map(|part| part.get("text").words()).unwrap_or_default())
    }
}
