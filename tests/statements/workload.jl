using Hard
Hard.run()

# Its own: no image of the package can hold it.
struct Own
    number::Int
end
own(x) = [x, x]
foreach(own, Any[Own(1), 2])
