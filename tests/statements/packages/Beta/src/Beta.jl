module Beta
using Twin
run() = Twin.two(Twin.Two("two"))
end
