-- Run in a copy of one folder by a native Lua and by one in a micro-VM; both must print the same.
package.path = "./?.lua"
local letters = require "letters"

local function fibonacci(n) if n < 2 then return n end return fibonacci(n - 1) + fibonacci(n - 2) end
print("fibonacci", fibonacci(24))
print("strings", ("sandbox"):reverse():upper(), ("a-b-c"):gsub("-", "+"), ("%05.2f|%x"):format(3.14159, 48879))
print("utf8", utf8.len("größe"), utf8.char(8364))
print("integers", 7 // 2, -7 % 3, 1 << 40, math.maxinteger + 1 == math.mininteger)
print("floats", math.sqrt(2), math.sin(1), 2 ^ 0.5, 1e308 * 10, -(0 / 0) ~= 0)
print("letters", letters.count("mississippi"))

print("errors", pcall(error, "raised"), pcall(error, { code = 7 }) == false, select("#", pcall(math.floor)))
print("nested", pcall(function()
    local ok, message = pcall(function() local t = nil; return t.x end)
    error(message .. " again", 0)
end))
local numbers = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end return "done" end)
print("coroutines", numbers(), numbers(), numbers(), numbers())
local deep = 0
local function descend() deep = deep + 1; return 1 + descend() end
print("stack", pcall(descend) == false and deep > 1000)

local names = {}
for i = 1, 20000 do names[i] = ("%06d"):format(i * 7919 % 20011) end
table.sort(names, function(a, b) return a > b end)
print("sorted", #names, names[1], names[2], names[#names], #table.concat(names, ","))

local file = assert(io.open("made.txt", "w"))
file:setvbuf("full", 100)
for i = 1, 1000 do file:write("line ", i, "\n") end
print("position", file:seek("cur"), file:seek("end"), file:close())
local count, bytes = 0, 0
for line in io.lines("made.txt") do count, bytes = count + 1, bytes + #line end
file = assert(io.open("made.txt", "a+"))
file:write("the end\n")
print("lines", count, bytes, file:seek("set", 5), file:read("l", 4, "n"))
print("rest", #file:read("a"), file:read("a"), file:read("l"))
file:close()
assert(os.rename("made.txt", "sub/moved.txt"))
print("gone", io.open("made.txt"))
print("moved", io.type(io.open("sub/moved.txt")), os.remove("sub"))
print("absent", io.open("nowhere/at/all", "w"))

local temporary = assert(io.tmpfile())
temporary:write("kept nowhere")
temporary:seek("set")
print("temporary", temporary:read("a"))
local name = os.tmpname()
print("named", name:match("^/tmp/lua_%w+$") ~= nil, os.remove(name))

print("time", os.time { year = 2001, month = 9, day = 9, hour = 1, min = 46, sec = 40 }, os.date("!%F %T", 0))
print("clock", os.clock() >= 0 and os.clock() < 60, os.time() > 1700000000)
print("environment", os.getenv("COLOUR"), os.getenv("HOME"))
print("input", io.read("n", "l", "L", "a"))
io.stderr:write("on the other channel\n")
os.exit(3, true)
