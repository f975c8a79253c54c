module Alpha
using Twin

# Called for what is only known when it runs, so that tracing records it.
run() = map(Twin.one, Any[Twin.One(2)])
end
