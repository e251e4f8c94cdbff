"""The risk table that every node starts with; `[risk]` in runtime.toml is laid over it.

`akshi-node config risk` prints the table in force. What is not here is high.
"""

import tomllib
from typing import Final

from sandbox.risk import RiskTable

TOML = """
# Reads of what is the agent's own.
[journal]
read = "low"
search = "low"
find = "low"
append = "medium"

[database]
query = "low"
execute = "medium"

[filesystem]
read-file = "low"
list-files = "low"

# Words for a language model: on this machine, or to somebody else's.
[inference]
local = "low"
remote = "medium"
paid = "medium"
prompt = "low"
model = "low"
max_tokens = "low"
temperature = "low"
stop = "low"

# Outbound HTTP. Methods that other methods are made of are not here, and so are high.
[http_fetch]
url = "medium"
query = "low"
timeout_ms = "low"
body = "medium"
payment = "high"
secret = "medium"
method.GET = "low"
method.HEAD = "low"
method.OPTIONS = "low"
method.POST = "medium"
method.PUT = "medium"
method.PATCH = "medium"
method.DELETE = "high"
headers.accept = "low"
headers.accept-charset = "low"
headers.accept-language = "low"
headers.cache-control = "low"
headers.content-encoding = "low"
headers.content-language = "low"
headers.content-type = "low"
headers.idempotency-key = "low"
headers.if-match = "low"
headers.if-modified-since = "low"
headers.if-none-match = "low"
headers.if-unmodified-since = "low"
headers.pragma = "low"
headers.prefer = "low"
headers.range = "low"
headers.traceparent = "low"
headers.user-agent = "low"
headers.x-request-id = "low"

[a2a]
send = "medium"
wait = "low"
cancel = "low"

# Tools. A tool can be judged by its name, tool."SERVER/TOOL". An argument is judged by every
# key in its path, whatever the case. Keys that are not here are high: look at the tool, then
# write a line for them, or arguments."*" = "medium" if you trust whatever it may be told.
[mcp]
list-tools = "low"
tool."*" = "medium"

[mcp.arguments]
a = "low"
b = "low"
cursor = "low"
date = "low"
depth = "low"
encoding = "low"
fields = "low"
format = "low"
from = "low"
id = "low"
ids = "low"
input = "low"
key = "low"
keyword = "low"
keywords = "low"
lang = "low"
language = "low"
latitude = "low"
limit = "low"
locale = "low"
location = "low"
longitude = "low"
max = "low"
max_results = "low"
n = "low"
name = "low"
number = "low"
offset = "low"
order = "low"
page = "low"
page_size = "low"
pattern = "low"
q = "low"
query = "low"
question = "low"
since = "low"
sort = "low"
text = "low"
timezone = "low"
topic = "low"
units = "low"
until = "low"
uri = "low"
url = "low"
value = "low"
values = "low"
x = "low"
y = "low"

[spend]
balance = "low"
quote = "low"
charge = "high"
"""

DEFAULTS: Final = RiskTable.read(tomllib.loads(TOML))
