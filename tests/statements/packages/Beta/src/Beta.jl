module Beta
using Twin

# Called for what is only known when it runs, so that tracing records it.
run() = map(Twin.two, Any[Twin.Two("two")])
end
