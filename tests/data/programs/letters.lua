local letters = {}

function letters.count(text)
    local counts, order = {}, {}
    for letter in text:gmatch("%a") do
        if not counts[letter] then order[#order + 1] = letter end
        counts[letter] = (counts[letter] or 0) + 1
    end
    table.sort(order, function(a, b)
        if counts[a] ~= counts[b] then return counts[a] > counts[b] end
        return a < b
    end)
    local parts = {}
    for i, letter in ipairs(order) do parts[i] = letter .. counts[letter] end
    return table.concat(parts, " ")
end

return letters
